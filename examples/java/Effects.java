import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.Arrays;

/** What was done, in files that can be made only once: a stand-in for rows with a unique key in your database. */
record Effects(Path folder) {
    Effects(String folder) { this(Path.of(folder)); }

    /** What to do with the goods. They leave once per order, unless the payment is for a part of it or a repeat. */
    String decide(JsonNode event, String payment, long sequence) throws IOException {
        boolean whole = event.path("order_role").asText("whole").equals("whole") && !event.path("order_id").isNull();
        String goods = whole ? event.path("merchant").asText() + "/order/" + event.path("order_id").asText() : payment;
        String me = payment + " " + sequence;
        return switch (event.required("fulfilment").asText()) {
            case "release" -> once(file("goods", goods), me).equals(me) ? "send" : "nothing";
            case "stop" -> whose(file("goods", goods)).startsWith(payment + " ") ? "recall" : "keep";
            default -> "wait"; // hold, and words of later releases
        };
    }

    /** The newest event of the payment that was applied, by sequence. */
    long last(String payment) {
        String[] names = file("payments", payment).toFile().list();
        return names == null ? 0 : Arrays.stream(names).mapToLong(Long::parseLong).max().orElse(0);
    }

    void add(String payment, long sequence, String effect) throws IOException {
        once(file("payments", payment).resolve(Long.toString(sequence)), effect);
    }

    private Path file(String kind, String name) {
        return folder.resolve(kind).resolve(URLEncoder.encode(name, StandardCharsets.UTF_8));
    }

    private static String whose(Path file) throws IOException {
        return Files.exists(file) ? Files.readString(file) : "";
    }

    /** Write the file whole or not at all, unless it is there; returns what it then says. */
    private String once(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Path written = Files.createTempFile(folder, "written", null);
        Files.writeString(written, text, StandardOpenOption.WRITE, StandardOpenOption.DSYNC);
        try {
            Files.createLink(file, written);
            return text;
        } catch (FileAlreadyExistsException another) {
            return Files.readString(file);
        } finally {
            Files.delete(written);
        }
    }
}

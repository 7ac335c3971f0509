import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads payments.status from its start and decides about goods: each event once, across crashes. Free to copy. */
public class PaymentConsumer {
    static final JsonMapper JSON = new JsonMapper();
    static final String TOPIC = env("TOPIC", "payments.status");
    static final Effects EFFECTS = new Effects(env("EFFECTS", "effects"));

    public static void main(String[] arguments) throws IOException {
        var settings = new HashMap<String, Object>(Map.of(
            "bootstrap.servers", env("KAFKA", "localhost:9092"), "group.id", env("GROUP", "erp"),
            "auto.offset.reset", "earliest", "enable.auto.commit", false));
        var instance = System.getenv("INSTANCE"); // a fixed name: after a restart it goes on at once
        if (instance != null) settings.put("group.instance.id", instance);
        var main = Thread.currentThread();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                consumer.wakeup();
                try { main.join(); } catch (InterruptedException ended) { return; }
            }));
            consumer.subscribe(List.of(TOPIC));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) apply(record);
                try {
                    consumer.commitSync(); // after the effects: a crash in between repeats records, it loses none
                } catch (RebalanceInProgressException | CommitFailedException moved) {
                    complain("partitions moved before the commit: some records come again");
                }
            }
        } catch (WakeupException stopped) {
            complain("stopped");
        }
    }

    static void apply(ConsumerRecord<String, String> record) throws IOException {
        String payment = record.key(), type = header(record, "ce_type"); // the key is merchant/payment_id
        if (record.value() == null) { complain("forgotten: " + payment); return; } // a tombstone of payments.latest
        if (!type.equals("payment.status.changed.v1")) { complain("not for us: " + type); return; }
        JsonNode event = JSON.readTree(record.value()); // a tree: fields and statuses of later releases are no errors
        String id = event.required("event_id").asText();
        if (!id.equals(header(record, "ce_id"))) throw new IOException("two ids at offset " + record.offset());
        long sequence = event.required("sequence").longValue(), last = EFFECTS.last(payment);
        if (sequence <= last) return; // a repeat
        // payments.latest is compacted: the older events of a payment are not missed there
        boolean gap = sequence > last + 1 && TOPIC.endsWith("status");
        if (gap) complain("gap: " + payment + " " + sequence + " after " + last);
        var effect = JSON.createObjectNode().put("payment", payment).put("sequence", sequence).put("event_id", id);
        effect.put("status", event.required("status").asText()).put("goods", EFFECTS.decide(event, payment, sequence));
        JsonNode paid = event.path("paid"); // in pence or cents: a whole number, never a float
        if (paid.isObject()) effect.put("paid", paid.required("value").decimalValue().longValueExact())
            .put("currency", paid.required("currency").asText());
        EFFECTS.add(payment, sequence, effect.toString());
    }

    static String header(ConsumerRecord<?, ?> record, String name) {
        var header = record.headers().lastHeader(name);
        return header == null ? "" : new String(header.value());
    }

    static String env(String name, String other) { return Objects.requireNonNullElse(System.getenv(name), other); }

    static void complain(String text) { System.err.println(text); }
}

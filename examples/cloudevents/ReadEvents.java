import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints the CloudEvents that lie on topics: {@code ReadEvents BOOTSTRAP TOPIC...}. */
public final class ReadEvents {
    public static void main(String[] arguments) {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new CloudEventDeserializer())) {
            List<TopicPartition> partitions = Stream.of(arguments).skip(1)
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(one -> new TopicPartition(one.topic(), one.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream().anyMatch(one -> consumer.position(one.getKey()) < one.getValue())) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    CloudEvent event = record.value(); // null of a tombstone, which is no event
                    String place = record.topic() + "\t" + record.partition() + "\t" + record.offset() + "\t";
                    System.out.println(place + (event == null ? "forgotten" : told(event)));
                }
            }
        }
    }

    private static String told(CloudEvent event) {
        return Stream.of(event.getId(), event.getSource(), event.getType(), event.getSubject(),
                event.getDataContentType(), event.getDataSchema(), event.getTime(), event.getData().toBytes().length)
            .map(Objects::toString).reduce((one, other) -> one + "\t" + other).orElseThrow();
    }
}

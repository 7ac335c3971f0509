import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.listener.ContainerProperties.AckMode;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.stereotype.Component;
import org.springframework.util.backoff.FixedBackOff;

/** Hands every record of payments.status to your service, one after the other for each payment. Free to copy. */
@Configuration
@EnableKafka
public class PaymentListener {
    static final long RETRY_MILLISECONDS = 5000;

    /** Your service: event and effect in one transaction of its database, once for each payment and sequence. */
    public interface Payments {
        void apply(String payment, String event);

        void forget(String payment);
    }

    @Component
    public record Listener(Payments payments) {
        @KafkaListener(topics = "${topic:payments.status}", groupId = "${group:erp}")
        public void listen(ConsumerRecord<String, String> record) {
            if (record.value() == null) { // a tombstone of payments.latest
                payments.forget(record.key());
                return;
            }
            var type = record.headers().lastHeader("ce_type");
            if (type != null && new String(type.value()).equals("payment.status.changed.v1")) {
                payments.apply(record.key(), record.value());
            }
        }
    }

    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv().getOrDefault("KAFKA", "localhost:9092"),
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
            ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class,
            ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class)));
        factory.getContainerProperties().setAckMode(AckMode.BATCH); // commits after the effects of a poll
        // the default gives up after ten tries and skips the record: an event that nobody would apply
        factory.setCommonErrorHandler(new DefaultErrorHandler(
            new FixedBackOff(RETRY_MILLISECONDS, FixedBackOff.UNLIMITED_ATTEMPTS)));
        return factory;
    }
}

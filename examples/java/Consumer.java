// Prints the boxes of every camera, each result once.
// mvn dependency:copy-dependencies -DoutputDirectory=libs
// java -cp 'libs/*' Consumer.java BROKER:9092 http://REGISTRY:8080/apis/registry/v2 [TOPIC]
import java.time.Duration;
import java.util.*;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

class Consumer {
  public static void main(String[] args) {
    var consumer = new KafkaConsumer<String, GenericRecord>(Map.of(
        "bootstrap.servers", args[0], "group.id", "example-java", "auto.offset.reset", "earliest", "isolation.level", "read_committed",
        "key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer",
        "value.deserializer", "io.apicurio.registry.serde.avro.AvroKafkaDeserializer",
        "apicurio.registry.url", args[1], "apicurio.registry.use-id", "contentId",
        "apicurio.registry.id-handler", "io.apicurio.registry.serde.Legacy4ByteIdHandler"));
    consumer.subscribe(List.of(args.length > 2 ? args[2] : "sightline.detections"));
    var seen = new HashSet<String>(); // Where you store results, make message_id the primary key instead.
    while (true) for (var message : consumer.poll(Duration.ofSeconds(1))) {
      var header = (GenericRecord) message.value().get("header");
      if (!seen.add(header.get("message_id").toString())) continue;
      for (var entry : (List<?>) message.value().get("objects")) {
        var thing = (GenericRecord) entry;
        var box = (GenericRecord) thing.get("bbox");
        System.out.printf(Locale.ROOT, "%s %s %s %.2f %.3f %.3f %.3f %.3f%n", header.get("camera_id"), header.get("frame_seq"),
            thing.get("class_name"), thing.get("confidence"), box.get("x"), box.get("y"), box.get("width"), box.get("height"));
      }
    }
  }
}

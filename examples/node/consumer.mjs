// Prints the boxes of every camera, each result once.
// npm install
// node consumer.mjs BROKER:9092 http://REGISTRY:8080/apis/ccompat/v7 [TOPIC]
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { Kafka, logLevel } from 'kafkajs';

const [brokers, host, topic = 'sightline.detections'] = process.argv.slice(2);
const registry = new SchemaRegistry({ host });
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: 'example-node' });
const seen = new Set(); // Where you store results, make message_id the primary key instead.

await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    const { header, objects } = await registry.decode(message.value);
    if (seen.has(header.message_id)) return;
    seen.add(header.message_id);
    if (seen.size > 100_000) seen.delete(seen.values().next().value);
    for (const { class_name, confidence, bbox } of objects) {
      const box = [bbox.x, bbox.y, bbox.width, bbox.height].map((side) => side.toFixed(3));
      console.log(header.camera_id, header.frame_seq, class_name, confidence.toFixed(2), ...box);
    }
  },
});

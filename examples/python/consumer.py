"""Prints the boxes of every camera, each result once.
pip install -r requirements.txt
python consumer.py BROKER:9092 http://REGISTRY:8080/apis/ccompat/v7 [TOPIC]
"""
import sys
from collections import OrderedDict
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic = (sys.argv[1:] + ["sightline.detections"])[:3]
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "example-python",
                     "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
consumer.subscribe([topic])
seen = OrderedDict()  # Where you store results, make message_id the primary key instead.
while True:
    if (message := consumer.poll(1.0)) is None: continue
    if message.error(): raise KafkaException(message.error())
    result = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
    header = result["header"]
    if header["message_id"] in seen: continue
    seen[header["message_id"]] = True
    if len(seen) > 100_000: seen.popitem(last=False)
    for thing in result["objects"]:
        box = " ".join(f"{thing['bbox'][side]:.3f}" for side in ("x", "y", "width", "height"))
        print(header["camera_id"], header["frame_seq"], thing["class_name"], f"{thing['confidence']:.2f}", box, flush=True)

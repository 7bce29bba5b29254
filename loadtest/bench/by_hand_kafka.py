"""The same by hand over Kafka, as two programs: one samples a clip and sends full-size JPEG, the other detects and sends JSON.

Usage: by_hand_kafka.py send BROKERS FRAMES_TOPIC CLIP FPS
       by_hand_kafka.py detect BROKERS FRAMES_TOPIC RESULTS_TOPIC MODEL.onnx
`detect` reads from the beginning and ends at the record without a value that `send` writes last. Each prints one JSON object with its frames.
"""
import json
import sys

from by_hand import Detector, cv2, np, sampled_frames
from confluent_kafka import Consumer, KafkaException, Producer

KEY = b"bench"


def delivered(error: object, _message: object) -> None:
    if error is not None:
        raise KafkaException(error)


def send(brokers: str, frames_topic: str, clip: str, fps: str) -> int:
    producer = Producer({"bootstrap.servers": brokers})
    sent = 0
    for _, frame in sampled_frames(clip, float(fps)):
        _, jpeg = cv2.imencode(".jpg", frame)
        producer.produce(frames_topic, jpeg.tobytes(), KEY, on_delivery=delivered)
        producer.poll(0)
        sent += 1
    producer.produce(frames_topic, None, KEY, on_delivery=delivered)
    producer.flush()
    return sent


def detect(brokers: str, frames_topic: str, results_topic: str, model: str) -> int:
    detector = Detector(model)
    producer = Producer({"bootstrap.servers": brokers})
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"{frames_topic}-detect", "auto.offset.reset": "earliest"})
    consumer.subscribe([frames_topic])
    analysed = 0
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        if message.value() is None:
            break
        frame = cv2.imdecode(np.frombuffer(message.value(), np.uint8), cv2.IMREAD_COLOR)
        record = {"frame": message.offset(), "objects": detector.detect(frame)}
        producer.produce(results_topic, json.dumps(record).encode(), message.key(), on_delivery=delivered)
        producer.poll(0)
        analysed += 1
    producer.flush()
    consumer.close()
    return analysed


if __name__ == "__main__":
    print(json.dumps({"frames": {"send": send, "detect": detect}[sys.argv[1]](*sys.argv[2:])}))

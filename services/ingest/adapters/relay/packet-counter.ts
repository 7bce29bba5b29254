/** A jump in the sequence larger than this is a camera that started over, not a loss (RFC 3550 A.1). */
const maxDropout = 3000;

/** Counts packets and what is missing between them, in the manner of RFC 3550 A.3: what comes late takes its loss back. */
export class PacketCounter {
  packets = 0;
  bytes = 0;
  #base = -1;
  #highest = 0;
  #received = 0;
  #lostBefore = 0;
  #receivedBefore = 0;

  note(sequence: number, byteLength: number): void {
    this.packets += 1;
    this.bytes += byteLength;
    if (this.#base < 0) {
      this.#start(sequence);
      return;
    }
    // Signed distance on the circle of 2^16.
    const distance = ((sequence - this.#highest) << 16) >> 16;
    if (distance > maxDropout || distance < -maxDropout) {
      this.#lostBefore += this.#lostNow();
      this.#receivedBefore += this.#received;
      this.#start(sequence);
      return;
    }
    if (distance > 0) this.#highest += distance;
    if (distance !== 0) this.#received += 1;
  }

  get packetsLost(): number {
    return this.#lostBefore + this.#lostNow();
  }

  get lossRatio(): number {
    const lost = this.packetsLost;
    const expected = lost + this.#receivedBefore + this.#received;
    return expected === 0 ? 0 : lost / expected;
  }

  #start(sequence: number): void {
    this.#base = sequence;
    this.#highest = sequence;
    this.#received = 1;
  }

  #lostNow(): number {
    return this.#base < 0 ? 0 : Math.max(0, this.#highest - this.#base + 1 - this.#received);
  }
}

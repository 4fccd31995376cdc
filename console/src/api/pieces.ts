// The bytes of an Arrow stream, and whether they came to their end. Arrow's reader takes a stream that breaks off for
// one that has ended, so this watches for both an error on the way and the end mark.

/** A continuation and a length of zero: <https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format>. */
const END_MARK = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

export class Pieces implements AsyncIterable<Uint8Array> {
  readonly #body: ReadableStream<Uint8Array>;
  #tail: number[] = [];
  /** What went wrong on the way. */
  failure: unknown = null;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#body = body;
  }

  /** Whether the end mark was the last that came. */
  get complete(): boolean {
    return this.failure === null && END_MARK.every((byte, index) => this.#tail[index] === byte);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const reader = this.#body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.#tail = [...this.#tail, ...value.subarray(-END_MARK.length)].slice(-END_MARK.length);
        yield value;
      }
    } catch (thrown) {
      this.failure = thrown;
      throw thrown;
    } finally {
      reader.releaseLock();
    }
  }
}

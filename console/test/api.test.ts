import { tableFromArrays, tableToIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decimalText } from "../src/api/cells";
import { ApiError, asApiError, errorIn } from "../src/api/error";
import { rowsOf } from "../src/api/json-lines";
import { Pieces } from "../src/api/pieces";

describe("JSON lines", () => {
  it("gives a row for each line", () => {
    expect(rowsOf('{"a":1}\n{"a":null}\n\n')).toEqual([{ a: 1 }, { a: null }]);
    expect(rowsOf("")).toEqual([]);
  });

  it("throws the error that ends the rows", () => {
    const text = '{"a":1}\n{"error":{"code":"data","message":"division by zero","line":2,"column":8}}\n';
    expect(() => rowsOf(text)).toThrow(new ApiError("data", "division by zero", { line: 2, column: 8 }));
  });

  it("takes a column called error for what it is", () => {
    expect(rowsOf('{"error":"disk","n":1}\n{"error":{"code":"x"}}')).toHaveLength(2);
  });

  it("says that a row was cut off", () => {
    expect(() => rowsOf('{"a":1}\n{"a":')).toThrow(/middle of a row/);
  });
});

describe("errors", () => {
  it("have a place where the server gives one", () => {
    expect(errorIn({ error: { code: "invalid", message: "m" } })?.place).toBeNull();
    expect(errorIn({ error: "text" })).toBeNull();
    expect(errorIn([])).toBeNull();
  });

  it("tell a cancelled request from a server that is away", () => {
    expect(asApiError(new DOMException("", "AbortError")).code).toBe("cancelled");
    expect(asApiError(new TypeError("fetch failed")).code).toBe("unreachable");
  });
});

describe("decimals", () => {
  const words = (value: bigint): Uint32Array =>
    Uint32Array.from({ length: 4 }, (_, index) => Number((BigInt.asUintN(128, value) >> BigInt(32 * index)) & 0xffffffffn));

  it("have their point and sign", () => {
    expect(decimalText(words(150n), 2)).toBe("1.50");
    expect(decimalText(words(-5n), 3)).toBe("-0.005");
    expect(decimalText(words(12345678901234567890123456789n), 0)).toBe("12345678901234567890123456789");
  });
});

describe("pieces of an Arrow stream", () => {
  const bytes = tableToIPC(tableFromArrays({ a: Int32Array.from([1, 2, 3]) }), "stream");
  const streamOf = (...pieces: Uint8Array[]): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
  const drain = async (pieces: Pieces): Promise<void> => {
    for await (const piece of pieces) void piece;
  };

  it("are complete with the end mark, however it is cut", async () => {
    const pieces = new Pieces(streamOf(bytes.subarray(0, -5), bytes.subarray(-5, -2), bytes.subarray(-2)));
    await drain(pieces);
    expect(pieces.complete).toBe(true);
  });

  it("are not complete without it", async () => {
    const pieces = new Pieces(streamOf(bytes.subarray(0, -8)));
    await drain(pieces);
    expect(pieces.complete).toBe(false);
  });

  it("are not complete after an error", async () => {
    const pieces = new Pieces(
      new ReadableStream({
        pull(controller) {
          controller.error(new TypeError("network error"));
        },
      }),
    );
    await expect(drain(pieces)).rejects.toThrow("network error");
    expect(pieces.complete).toBe(false);
  });
});

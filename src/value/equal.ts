import { asBuffer, BSON, byteAt, cstringEnd, sameCString, valueEnd } from "./bson-bytes.js";
import { isNumber, sameNumber } from "./exact-number.js";

/**
 * Whether two documents `{value: …}` hold equal values: numbers by exact mathematical value whatever their types
 * (NaN equals NaN, -0 equals 0), everything else by type and content; a boolean is no number. Objects are equal
 * whatever the order of their fields, arrays only in the same order. Of a name that an object holds several times,
 * as other writers may leave it, the first is compared with the first, the second with the second and so on.
 *
 * @throws StoreError INTERNAL if a document is not well-formed
 */
export function equalValues(a: Uint8Array, b: Uint8Array): boolean {
  const bufA = asBuffer(a);
  const bufB = asBuffer(b);
  return bufA.equals(bufB) || new Comparison(bufA, bufB).objects(0, bufA.length, 0, bufB.length);
}

/** Fields up to which a search is quicker than a table. */
const FEW = 12;

/** Where a field's type and value stand; its name is between them. */
interface Field {
  readonly start: number;
  readonly value: number;
}

class Comparison {
  readonly #bufA: Buffer;
  readonly #bufB: Buffer;

  constructor(bufA: Buffer, bufB: Buffer) {
    this.#bufA = bufA;
    this.#bufB = bufB;
  }

  /** Compares the objects at `a` and `b`: in step as long as their fields come in the same order. */
  objects(a: number, limitA: number, b: number, limitB: number): boolean {
    const lastA = valueEnd(this.#bufA, BSON.OBJECT, a, limitA) - 1;
    const lastB = valueEnd(this.#bufB, BSON.OBJECT, b, limitB) - 1;
    let posA = a + 4;
    let posB = b + 4;
    while (posA < lastA && posB < lastB) {
      if (!sameCString(this.#bufA, posA + 1, this.#bufB, posB + 1)) {
        return this.#unordered(posA, lastA, posB, lastB);
      }
      const valueA = cstringEnd(this.#bufA, posA + 1, lastA) + 1;
      const valueB = posB + (valueA - posA);
      const endA = valueEnd(this.#bufA, byteAt(this.#bufA, posA), valueA, lastA);
      const endB = valueEnd(this.#bufB, byteAt(this.#bufB, posB), valueB, lastB);
      if (!this.#values({ start: posA, value: valueA }, endA, { start: posB, value: valueB }, endB))
        return false;
      posA = endA;
      posB = endB;
    }
    return posA >= lastA && posB >= lastB;
  }

  /** Compares the remaining fields of two objects by name. */
  #unordered(a: number, lastA: number, b: number, lastB: number): boolean {
    const fields = fieldsOf(this.#bufB, b, lastB);
    return fields.length <= FEW ? this.#few(a, lastA, fields, lastB) : this.#many(a, lastA, fields, lastB);
  }

  /** Looks for each field of `a` among those of `b` that are not taken. */
  #few(a: number, lastA: number, fields: (Field | undefined)[], lastB: number): boolean {
    let left = fields.length;
    for (let pos = a; pos < lastA; ) {
      const value = cstringEnd(this.#bufA, pos + 1, lastA) + 1;
      const index = fields.findIndex(
        (field) => field !== undefined && sameCString(this.#bufA, pos + 1, this.#bufB, field.start + 1),
      );
      const other = fields[index];
      if (other === undefined) return false;
      fields[index] = undefined;
      left--;
      const next = valueEnd(this.#bufA, byteAt(this.#bufA, pos), value, lastA);
      if (!this.#pair(pos, value, next, other, lastB)) return false;
      pos = next;
    }
    return left === 0;
  }

  #many(a: number, lastA: number, fields: readonly Field[], lastB: number): boolean {
    const fieldsOfB = byName(this.#bufB, fields);
    const taken = new Map<string, number>();
    for (let pos = a; pos < lastA; ) {
      const end = cstringEnd(this.#bufA, pos + 1, lastA);
      const name = this.#bufA.toString("latin1", pos + 1, end);
      const nth = taken.get(name) ?? 0;
      const other = fieldsOfB.get(name)?.[nth];
      if (other === undefined) return false;
      taken.set(name, nth + 1);
      const next = valueEnd(this.#bufA, byteAt(this.#bufA, pos), end + 1, lastA);
      if (!this.#pair(pos, end + 1, next, other, lastB)) return false;
      pos = next;
    }
    for (const [name, same] of fieldsOfB) if (taken.get(name) !== same.length) return false;
    return true;
  }

  #pair(start: number, value: number, end: number, other: Field, lastB: number): boolean {
    const otherEnd = valueEnd(this.#bufB, byteAt(this.#bufB, other.start), other.value, lastB);
    return this.#values({ start, value }, end, other, otherEnd);
  }

  #arrays(a: number, limitA: number, b: number, limitB: number): boolean {
    const lastA = valueEnd(this.#bufA, BSON.ARRAY, a, limitA) - 1;
    const lastB = valueEnd(this.#bufB, BSON.ARRAY, b, limitB) - 1;
    let posA = a + 4;
    let posB = b + 4;
    while (posA < lastA && posB < lastB) {
      const fieldA = { start: posA, value: cstringEnd(this.#bufA, posA + 1, lastA) + 1 };
      const fieldB = { start: posB, value: cstringEnd(this.#bufB, posB + 1, lastB) + 1 };
      posA = valueEnd(this.#bufA, byteAt(this.#bufA, posA), fieldA.value, lastA);
      posB = valueEnd(this.#bufB, byteAt(this.#bufB, posB), fieldB.value, lastB);
      if (!this.#values(fieldA, posA, fieldB, posB)) return false;
    }
    return posA >= lastA && posB >= lastB;
  }

  #values(a: Field, endA: number, b: Field, endB: number): boolean {
    const typeA = byteAt(this.#bufA, a.start);
    const typeB = byteAt(this.#bufB, b.start);
    if (isNumber(typeA) && isNumber(typeB)) {
      return sameNumber(this.#bufA, typeA, a.value, this.#bufB, typeB, b.value);
    }
    if (typeA !== typeB) return false;
    switch (typeA) {
      case BSON.OBJECT:
        return this.objects(a.value, endA, b.value, endB);
      case BSON.ARRAY:
        return this.#arrays(a.value, endA, b.value, endB);
      case BSON.CODE_WITH_SCOPE:
        return this.#codesWithScope(a.value, endA, b.value, endB);
      default:
        return this.#sameBytes(a.value, endA, b.value, endB);
    }
  }

  #codesWithScope(a: number, endA: number, b: number, endB: number): boolean {
    const textEndA = valueEnd(this.#bufA, BSON.CODE, a + 4, endA);
    const textEndB = valueEnd(this.#bufB, BSON.CODE, b + 4, endB);
    return this.#sameBytes(a + 4, textEndA, b + 4, textEndB) && this.objects(textEndA, endA, textEndB, endB);
  }

  #sameBytes(a: number, endA: number, b: number, endB: number): boolean {
    return endA - a === endB - b && this.#bufA.compare(this.#bufB, b, endB, a, endA) === 0;
  }
}

function fieldsOf(buf: Buffer, start: number, last: number): Field[] {
  const fields: Field[] = [];
  for (let pos = start; pos < last; ) {
    const value = cstringEnd(buf, pos + 1, last) + 1;
    fields.push({ start: pos, value });
    pos = valueEnd(buf, byteAt(buf, pos), value, last);
  }
  return fields;
}

function byName(buf: Buffer, fields: readonly Field[]): Map<string, Field[]> {
  const names = new Map<string, Field[]>();
  for (const field of fields) {
    const name = buf.toString("latin1", field.start + 1, field.value - 1);
    const same = names.get(name);
    if (same === undefined) names.set(name, [field]);
    else same.push(field);
  }
  return names;
}

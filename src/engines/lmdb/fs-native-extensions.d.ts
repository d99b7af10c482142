declare module "fs-native-extensions" {
  /** Requests an exclusive lock on an open file that ends with its descriptor; false if another one holds it. */
  export function tryLock(fd: number): boolean;
}

declare module "fs-native-extensions" {
  /** Waits for an exclusive lock on an open file that ends with its descriptor. */
  export function waitForLock(fd: number): Promise<void>;
}

/** A way to call and be answered, one call at a time. */
export interface Way {
  call(): Promise<void>;
  close(): Promise<void>;
}

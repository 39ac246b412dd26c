/**
 * koffi with stacks that ONNX Runtime fits on. They can be set before the first library of
 * a process is loaded and never again, so whoever loads a library takes koffi from here.
 */
import koffi from "koffi";

// ONNX Runtime's own frames must fit koffi's stacks, which are small by default.
koffi.config({
  sync_stack_size: 8 << 20,
  sync_heap_size: 1 << 20,
  async_stack_size: 8 << 20,
  async_heap_size: 1 << 20,
  resident_async_pools: 2,
});

export { koffi };

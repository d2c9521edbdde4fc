// The kernel: everything that touches samples by the million. One WebAssembly module, instantiated once a thread and use.
export { reserve } from './memory';

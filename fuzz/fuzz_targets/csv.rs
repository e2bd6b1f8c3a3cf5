#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fhe_fuzz::csv(data));

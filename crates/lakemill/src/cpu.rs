//! Checks the processor before any code that needs its features runs.
//!
//! The x86-64 build is compiled for x86-64-v3. `is_x86_feature_detected!` would be answered at compile time by
//! that very setting, so this asks the processor itself.

/// What the processor lacks, as a sentence; `None` when it has all that this build needs.
#[inline(never)]
pub(crate) fn missing_features() -> Option<&'static str> {
    #[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};

        const FMA: u32 = 1 << 12;
        const OSXSAVE: u32 = 1 << 27;
        const AVX: u32 = 1 << 28;
        const BMI1: u32 = 1 << 3;
        const AVX2: u32 = 1 << 5;
        const BMI2: u32 = 1 << 8;

        let highest_leaf = __cpuid(0).eax;
        let basic = __cpuid(1).ecx;
        let extended = if highest_leaf >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
        let wanted_basic = FMA | OSXSAVE | AVX;
        let wanted_extended = BMI1 | AVX2 | BMI2;
        if basic & wanted_basic != wanted_basic || extended & wanted_extended != wanted_extended {
            return Some(
                "this build of lakemill needs a processor with AVX2, FMA and BMI2 (x86-64-v3: Intel since 2013, AMD \
                 since 2015); build it from source with RUSTFLAGS=\"-C target-cpu=native\" for this machine",
            );
        }
    }
    None
}

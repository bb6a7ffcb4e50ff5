#pragma once
// Kernel: what loops over vectors of numbers are compiled with.
//
// How      SAMOVAR_KERNEL compiles a function for the processors that matter: by what they can do,
//          as a processor's name (arch=haswell) means this one and none that came after it. What
//          it calls has to be SAMOVAR_INLINE, and takes vectors by reference: by value they would
//          have another ABI in each clone. (Sanitizers run before what picks is ready.)

#if defined(__x86_64__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define SAMOVAR_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SAMOVAR_KERNEL
#endif

#define SAMOVAR_INLINE __attribute__((always_inline)) inline

namespace samovar {

using Floats8 = float __attribute__((vector_size(32), aligned(4)));
using Floats16 = float __attribute__((vector_size(64), aligned(4)));

}  // namespace samovar

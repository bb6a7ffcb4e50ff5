#pragma once
// libsamovar_clone: turns a process that has initialised into a template that is cloned.

#ifdef __cplusplus
extern "C" {
#endif

// 1 where this library knows how to clone on this machine, else 0.
int samovar_clone_supported(void);

#ifdef __cplusplus
}
#endif

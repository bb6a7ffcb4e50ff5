#pragma once
// What the sources of _samovar_native share: Python's header, and the table of each source.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef call_methods[];   // call.c
extern PyMethodDef clone_methods[];  // clone_module.c

// _samovar_native: what the Python runtime does in C. Clones of a template; the loop of calls.
//
// How      The limited API of CPython 3.9, so that one file serves every later CPython. A source of
//          this folder offers an array of PyMethodDef (module.h names them all); this file puts
//          them into the module.
// Threads  All functions hold the GIL unless they say otherwise.
#include "module.h"

static PyMethodDef* const kTables[] = {call_methods, clone_methods};

static int Fill(PyObject* module) {
  for (unsigned i = 0; i < sizeof kTables / sizeof *kTables; i++) {
    if (PyModule_AddFunctions(module, kTables[i]) != 0) return -1;
  }
  return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, Fill}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "_samovar_native",
                                        "The parts of Samovar's runtime that are in C.",
                                        0,
                                        NULL,
                                        slots,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__samovar_native(void);
PyMODINIT_FUNC PyInit__samovar_native(void) { return PyModuleDef_Init(&definition); }

// The Python face of libsamovar_clone.
#include "module.h"
#include "samovar_clone.h"

static PyObject* Supported(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyBool_FromLong(samovar_clone_supported());
}

PyMethodDef clone_methods[] = {
    {"supported", Supported, METH_NOARGS, "Whether this machine can clone at all."},
    {NULL, NULL, 0, NULL}};

// The Python face of libsamovar_clone.
#include <stdlib.h>
#include <unistd.h>

#include "module.h"
#include "samovar_clone.h"

static PyObject* Supported(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyBool_FromLong(samovar_clone_supported());
}

// As os.fork(), without its warning of other threads: whose they are has been looked at.
static PyObject* Fork(PyObject* self, PyObject* args) {
  (void)self;
  int setup, log, channel;
  if (!PyArg_ParseTuple(args, "iii", &setup, &log, &channel)) return NULL;
  PyOS_BeforeFork();
  const pid_t child = samovar_clone_fork(setup, log, channel);
  if (child == 0) {
    PyOS_AfterFork_Child();
  } else {
    PyOS_AfterFork_Parent();
  }
  if (child < 0) return PyErr_SetFromErrno(PyExc_OSError);
  return PyLong_FromLong(child);
}

static PyObject* Confine(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  if (samovar_clone_confine() != 0) return PyErr_SetFromErrno(PyExc_OSError);
  Py_RETURN_NONE;
}

// ---- pages

static PyObject* Collapse(PyObject* self, PyObject* cursor) {
  (void)self;
  const size_t from = PyLong_AsSize_t(cursor);
  if (PyErr_Occurred()) return NULL;
  uintptr_t next;
  Py_BEGIN_ALLOW_THREADS;
  next = samovar_pages_collapse(from);
  Py_END_ALLOW_THREADS;
  return PyLong_FromSize_t(next);
}

static PyObject* SharePages(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  if (samovar_pages_share() != 0) return PyErr_SetFromErrno(PyExc_OSError);
  uintptr_t begin, end;
  samovar_pages_table(&begin, &end);
  return Py_BuildValue("nn", (Py_ssize_t)begin, (Py_ssize_t)end);
}

static PyObject* PagesWanted(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyBool_FromLong(samovar_pages_wanted());
}

static PyObject* RecordPages(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyLong_FromLong(samovar_pages_record());
}

static PyObject* TouchPages(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyLong_FromLong(samovar_pages_touch());
}

static PyObject* LeavePages(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  samovar_pages_leave();
  Py_RETURN_NONE;
}

// ---- threads

enum { kMostThreads = 256 };

static PyObject* Threads(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  struct samovar_thread* found = calloc(kMostThreads, sizeof *found);
  if (found == NULL) return PyErr_NoMemory();
  int count;
  Py_BEGIN_ALLOW_THREADS;
  count = samovar_threads(found, kMostThreads);
  Py_END_ALLOW_THREADS;
  if (count > kMostThreads) count = kMostThreads;
  PyObject* list = count < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyList_New(0);
  for (int i = 0; list != NULL && i < count; i++) {
    PyObject* one =
        Py_BuildValue("iNN", (int)found[i].tid, PyUnicode_DecodeFSDefault(found[i].name),
                      PyUnicode_DecodeFSDefault(found[i].library));
    if (one == NULL || PyList_Append(list, one) != 0) Py_CLEAR(list);
    Py_XDECREF(one);
  }
  free(found);
  return list;
}

static PyObject* PauseOpenmp(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  char left[2048];
  Py_BEGIN_ALLOW_THREADS;
  samovar_threads_pause_openmp(left, sizeof left);
  Py_END_ALLOW_THREADS;
  return PyUnicode_DecodeFSDefault(left);
}

PyMethodDef clone_methods[] = {
    {"supported", Supported, METH_NOARGS, "Whether this machine can clone at all."},
    {"fork", Fork, METH_VARARGS,
     "fork(setup, log, channel): the pid of the child in between; 0 in the clone. channel may be "
     "-1."},
    {"confine", Confine, METH_NOARGS, "Gives up what only templates may do."},
    {"collapse", Collapse, METH_O,
     "collapse(cursor): makes one huge page; where to go on, 0 at the end."},
    {"share_pages", SharePages, METH_NOARGS, "Makes the table of written pages; its addresses."},
    {"pages_wanted", PagesWanted, METH_NOARGS, "Whether this clone should fill the table."},
    {"record_pages", RecordPages, METH_NOARGS, "Fills the table; how many pages."},
    {"touch_pages", TouchPages, METH_NOARGS, "Copies the pages in the table; how many."},
    {"leave_pages", LeavePages, METH_NOARGS, "Lets go of the table."},
    {"threads", Threads, METH_NOARGS, "[(tid, name, library)] of the other threads."},
    {"pause_openmp", PauseOpenmp, METH_NOARGS,
     "Ends GNU OpenMP's idle threads; the copies of it that cannot, a line each."},
    {NULL, NULL, 0, NULL}};

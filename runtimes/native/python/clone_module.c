// The Python face of libsamovar_clone.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module.h"
#include "samovar_clone.h"

static PyObject* Supported(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyBool_FromLong(samovar_clone_supported());
}

static PyObject* Texts(char** texts) {
  PyObject* list = PyList_New(0);
  for (; list != NULL && *texts != NULL; texts++) {
    PyObject* text = PyUnicode_DecodeUTF8(*texts, (Py_ssize_t)strlen(*texts), "surrogateescape");
    if (text == NULL || PyList_Append(list, text) != 0) Py_CLEAR(list);
    Py_XDECREF(text);
  }
  return list;
}

// Forks are as os.fork()'s, without its warning of other threads: whose they are has been looked
// at. The GIL is held all the time, since no other thread is Python's.
static PyObject* WaitForClones(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  static const struct samovar_host host = {PyOS_BeforeFork, PyOS_AfterFork_Parent,
                                           PyOS_AfterFork_Child, PyErr_CheckSignals};
  char** environment;
  const int became = samovar_template_wait(&host, &environment);
  if (became < 0) return NULL;
  if (became > 0) return Texts(environment);
  Py_RETURN_NONE;
}

static PyObject* Confine(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  if (samovar_clone_confine() != 0) return PyErr_SetFromErrno(PyExc_OSError);
  Py_RETURN_NONE;
}

// ---- pages

static PyObject* SharePages(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  if (samovar_pages_share() != 0) return PyErr_SetFromErrno(PyExc_OSError);
  uintptr_t begin, end;
  samovar_pages_table(&begin, &end);
  return Py_BuildValue("nn", (Py_ssize_t)begin, (Py_ssize_t)end);
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
    {"wait_for_clones", WaitForClones, METH_NOARGS,
     "Makes clones as they are asked for on descriptor 4. In each clone: its [NAME=value]; None "
     "where an event, or the end, has come on the channel."},
    {"confine", Confine, METH_NOARGS, "Gives up what only templates may do."},
    {"share_pages", SharePages, METH_NOARGS, "Makes the table of written pages; its addresses."},
    {"leave_pages", LeavePages, METH_NOARGS, "Lets go of the table."},
    {"threads", Threads, METH_NOARGS, "[(tid, name, library)] of the other threads."},
    {"pause_openmp", PauseOpenmp, METH_NOARGS,
     "Ends GNU OpenMP's idle threads; the copies of it that cannot, a line each."},
    {NULL, NULL, 0, NULL}};

// serve(): the call loop of the Python runtime, for the calls that most calls are.
//
// Why      Instances take turns on a few cores, so a call begins with cold caches, and what costs
// is
//          how much code and how many objects it touches. In Python the loop around a small handler
//          took longer than the handler; here it takes one read, one write and the json module's
//          own C parser and encoder.
// How      A buffered event with nothing but a request id, deadline, ARN and trace id goes through
//          here; whatever is rarer (streams, client contexts, answers with unusual types, errors)
//          is handed to samovar_runtime.py, which can do all of it. docs/formats/channel.md.
// Errors   As samovar_runtime.py: a handler's Exception becomes an ERROR frame, other
// BaseExceptions
//          end the interpreter. OSError where the channel breaks.
// Needs    The limited API of CPython 3.9.

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "module.h"
#include "samovar_clone.h"

enum { kFields = 10, kDeepest = 200, kTraceRoom = 4096 };

// What samovar_runtime.py gave; borrowed from `hooks`, which outlives the loop.
struct Hooks {
  PyObject *handler, *context_type, *context_fixed, *identity_type;
  PyObject *scan, *encode, *slow, *failed, *marshal, *log_dict, *environ;
};

static struct {
  PyObject *request_id, *tenant_id, *flush, *dict, *trace, *aws_request_id, *arn, *deadline,
      *identity, *identity_id, *identity_pool, *empty, *nothing;
} names;

static int MakeNames(void) {
  if (names.empty) return 0;
  const struct {
    PyObject** at;
    const char* text;
  } all[] = {{&names.request_id, "request_id"},
             {&names.tenant_id, "tenant_id"},
             {&names.flush, "flush"},
             {&names.dict, "__dict__"},
             {&names.aws_request_id, "aws_request_id"},
             {&names.arn, "invoked_function_arn"},
             {&names.deadline, "_epoch_deadline_time_in_ms"},
             {&names.identity, "identity"},
             {&names.identity_id, "cognito_identity_id"},
             {&names.identity_pool, "cognito_identity_pool_id"},
             {&names.empty, ""}};
  names.trace = PyBytes_FromString("_X_AMZN_TRACE_ID");
  names.nothing = PyTuple_New(0);
  if (!names.trace || !names.nothing) return -1;
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    *all[i].at = PyUnicode_InternFromString(all[i].text);
    if (!*all[i].at) return -1;
  }
  return 0;
}

// ---- one call ---------------------------------------------------------------------------------

// Whether the json module's encoder writes `value` as AWS's does: see _samovar_json.py for what it
// does not (named tuples, keys of bytes) and for what it calls back (Decimal, bytes).
static int IsPlain(PyObject* value, int depth) {
  if (value == Py_None || PyBool_Check(value)) return 1;
  if (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value))
    return 1;
  if (depth == 0) return 0;
  if (PyDict_CheckExact(value)) {
    PyObject *key, *item;
    Py_ssize_t at = 0;
    while (PyDict_Next(value, &at, &key, &item)) {
      if (!PyUnicode_CheckExact(key) || !IsPlain(item, depth - 1)) return 0;
    }
    return 1;
  }
  if (PyList_CheckExact(value)) {
    for (Py_ssize_t i = 0; i < PyList_Size(value); ++i) {
      if (!IsPlain(PyList_GetItem(value, i), depth - 1)) return 0;
    }
    return 1;
  }
  if (PyTuple_CheckExact(value)) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(value); ++i) {
      if (!IsPlain(PyTuple_GetItem(value, i), depth - 1)) return 0;
    }
    return 1;
  }
  return 0;
}

static int SetTrace(const struct Hooks* hooks, const char* trace, size_t size) {
  static char variable[kTraceRoom];  // putenv keeps it
  const size_t prefix = (size_t)PyBytes_Size(names.trace) + 1;
  if (prefix + size >= sizeof variable) return 1;
  PyObject* value = PyBytes_FromStringAndSize(trace, (Py_ssize_t)size);
  if (!value) return -1;
  int set = PyDict_SetItem(hooks->environ, names.trace, value);
  Py_DECREF(value);
  memcpy(variable, PyBytes_AsString(names.trace), prefix - 1);
  variable[prefix - 1] = '=';
  memcpy(variable + prefix, trace, size);
  variable[prefix + size] = 0;
  if (set == 0 && putenv(variable) != 0) set = (PyErr_SetFromErrno(PyExc_OSError), -1);
  return set;
}

// An object whose __init__ has not run.
static PyObject* NewOf(PyObject* type) {
  newfunc make = (newfunc)PyType_GetSlot((PyTypeObject*)type, Py_tp_new);
  return make((PyTypeObject*)type, names.nothing, NULL);
}

static PyObject* MakeContext(const struct Hooks* hooks, PyObject* id, long long deadline,
                             const char* arn, size_t arn_size) {
  PyObject* fields = PyDict_Copy(hooks->context_fixed);
  PyObject* arn_text = PyUnicode_DecodeUTF8(arn, (Py_ssize_t)arn_size, NULL);
  PyObject* when = PyLong_FromLongLong(deadline);
  PyObject* identity = NewOf(hooks->identity_type);
  PyObject* context = NewOf(hooks->context_type);
  if (!fields || !arn_text || !when || !identity || !context ||
      PyObject_SetAttr(identity, names.identity_id, Py_None) != 0 ||
      PyObject_SetAttr(identity, names.identity_pool, Py_None) != 0 ||
      PyDict_SetItem(fields, names.aws_request_id, id) != 0 ||
      PyDict_SetItem(fields, names.arn, arn_text) != 0 ||
      PyDict_SetItem(fields, names.deadline, when) != 0 ||
      PyDict_SetItem(fields, names.identity, identity) != 0 ||
      PyObject_SetAttr(context, names.dict, fields) != 0) {
    Py_CLEAR(context);
  }
  Py_XDECREF(fields);
  Py_XDECREF(arn_text);
  Py_XDECREF(when);
  Py_XDECREF(identity);
  return context;
}

// The event, or NULL: with or without an exception, the caller lets Python try.
static PyObject* ParseEvent(const struct Hooks* hooks, const struct Frame* frame) {
  PyObject* text = PyUnicode_DecodeUTF8(frame->payload, (Py_ssize_t)frame->payload_size, NULL);
  if (!text) return NULL;
  PyObject* event = NULL;
  PyObject* zero = PyLong_FromLong(0);
  PyObject* pair = zero ? PyObject_CallFunctionObjArgs(hooks->scan, text, zero, NULL) : NULL;
  if (pair && PyLong_AsSsize_t(PyTuple_GetItem(pair, 1)) == PyUnicode_GetLength(text)) {
    event = PyTuple_GetItem(pair, 0);
    Py_INCREF(event);
  }
  Py_XDECREF(pair);
  Py_XDECREF(zero);
  Py_DECREF(text);
  return event;
}

static void FlushStream(const char* name) {
  PyObject* stream = PySys_GetObject(name);
  if (!stream || stream == Py_None) return;
  Py_INCREF(stream);
  PyObject* done = PyObject_CallMethodObjArgs(stream, names.flush, NULL);
  Py_DECREF(stream);
  if (done) {
    Py_DECREF(done);
  } else if (PyErr_ExceptionMatches(PyExc_Exception)) {
    PyErr_Clear();
  }
}

// UTF-8 bytes of the answer, or NULL: with or without an exception, the caller lets Python try.
static PyObject* EncodeAnswer(const struct Hooks* hooks, PyObject* result) {
  if (!IsPlain(result, kDeepest)) return NULL;
  PyObject* zero = PyLong_FromLong(0);
  PyObject* pieces = zero ? PyObject_CallFunctionObjArgs(hooks->encode, result, zero, NULL) : NULL;
  PyObject* text = pieces ? PyUnicode_Join(names.empty, pieces) : NULL;
  PyObject* bytes = text ? PyUnicode_AsUTF8String(text) : NULL;
  Py_XDECREF(text);
  Py_XDECREF(pieces);
  Py_XDECREF(zero);
  return bytes;
}

static int CallPython(PyObject* function, PyObject* argument, PyObject* second) {
  PyObject* done = PyObject_CallFunctionObjArgs(function, argument, second, NULL);
  if (!done) return -1;
  Py_DECREF(done);
  return 0;
}

// The handler raised: an Exception is told of, anything else goes on upwards.
static int Failed(const struct Hooks* hooks) {
  if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace) PyException_SetTraceback(value, trace);
  int told = CallPython(hooks->failed, value, NULL);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return told;
}

static int Answer(int fd, const struct Hooks* hooks, PyObject* result) {
  PyObject* body = EncodeAnswer(hooks, result);
  if (!body) {
    PyErr_Clear();
    return CallPython(hooks->marshal, result, NULL);
  }
  FlushStream("stdout");
  FlushStream("stderr");
  int sent =
      PyErr_Occurred() ? -1 : SendAnswer(fd, PyBytes_AsString(body), (size_t)PyBytes_Size(body));
  Py_DECREF(body);
  return sent;
}

static int Slow(const struct Hooks* hooks, const struct Frame* frame) {
  PyErr_Clear();
  PyObject* meta = PyBytes_FromStringAndSize(frame->meta, (Py_ssize_t)frame->meta_size);
  PyObject* payload = PyBytes_FromStringAndSize(frame->payload, (Py_ssize_t)frame->payload_size);
  int done = meta && payload ? CallPython(hooks->slow, meta, payload) : -1;
  Py_XDECREF(meta);
  Py_XDECREF(payload);
  return done;
}

enum { kRequestId, kDeadline, kArn, kTraceId, kClient, kIdentity, kMode, kTenant };

// Whether only the fields are filled that this file knows, and the mode is `buffered`.
static int SplitMeta(const struct Frame* frame, const char* field[kFields], size_t size[kFields]) {
  int count = 0;
  const char *at = frame->meta, *end = frame->meta + frame->meta_size;
  for (;;) {
    if (count == kFields) return 0;
    const char* stop = memchr(at, 0, (size_t)(end - at));
    field[count] = at;
    size[count++] = (size_t)((stop ? stop : end) - at);
    if (!stop) break;
    at = stop + 1;
  }
  if (count <= kMode || size[kTraceId] == 0 || size[kClient] != 0 || size[kIdentity] != 0) return 0;
  if (size[kMode] != 8 || memcmp(field[kMode], "buffered", 8) != 0) return 0;
  for (int i = kTenant; i < count; ++i) {
    if (size[i] != 0) return 0;
  }
  return 1;
}

static int Call(int fd, const struct Hooks* hooks, const struct Frame* frame) {
  const char* field[kFields];
  size_t size[kFields];
  if (!SplitMeta(frame, field, size)) return Slow(hooks, frame);
  PyObject* event = ParseEvent(hooks, frame);
  if (!event) return Slow(hooks, frame);
  PyObject* id = PyUnicode_DecodeUTF8(field[kRequestId], (Py_ssize_t)size[kRequestId], NULL);
  PyObject* context =
      id ? MakeContext(hooks, id, strtoll(field[kDeadline], NULL, 10), field[kArn], size[kArn])
         : NULL;
  int done = -1;
  if (context && PyDict_SetItem(hooks->log_dict, names.request_id, id) == 0 &&
      PyDict_SetItem(hooks->log_dict, names.tenant_id, Py_None) == 0 &&
      (done = SetTrace(hooks, field[kTraceId], size[kTraceId])) == 0) {
    PyObject* result = PyObject_CallFunctionObjArgs(hooks->handler, event, context, NULL);
    done = result ? Answer(fd, hooks, result) : Failed(hooks);
    Py_XDECREF(result);
  }
  Py_XDECREF(context);
  Py_XDECREF(id);
  Py_DECREF(event);
  return done > 0 ? Slow(hooks, frame) : done;
}

static int TakeHooks(PyObject* given, struct Hooks* hooks) {
  const struct {
    PyObject** at;
    const char* name;
  } all[] = {{&hooks->handler, "handler"},
             {&hooks->context_type, "context_type"},
             {&hooks->context_fixed, "context_fixed"},
             {&hooks->identity_type, "identity_type"},
             {&hooks->scan, "scan"},
             {&hooks->encode, "encode"},
             {&hooks->slow, "slow"},
             {&hooks->failed, "failed"},
             {&hooks->marshal, "marshal"},
             {&hooks->log_dict, "log_dict"},
             {&hooks->environ, "environ"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    *all[i].at = PyDict_GetItemString(given, all[i].name);
    if (!*all[i].at) {
      PyErr_Format(PyExc_KeyError, "%s", all[i].name);
      return -1;
    }
  }
  if (!PyDict_Check(hooks->context_fixed) || !PyDict_Check(hooks->log_dict) ||
      !PyDict_Check(hooks->environ)) {
    PyErr_SetString(PyExc_TypeError, "context_fixed, log_dict and environ are dicts");
    return -1;
  }
  return MakeNames();
}

// One of a template's first clones leaves word of the pages that its calls took: of its first, and
// of so many that most later calls find theirs among them.
enum { kToldAfter = 8 };

static void TellPages(int* answered) {
  if (*answered > kToldAfter) return;
  const int wanted = samovar_pages_wanted();
  if (wanted && (*answered == 1 || *answered == kToldAfter)) samovar_pages_record();
  if (wanted && (*answered)++ < kToldAfter) return;
  samovar_pages_leave();
  *answered = kToldAfter + 1;
}

static PyObject* Serve(PyObject* module, PyObject* arguments) {
  (void)module;
  int fd;
  PyObject* given;
  struct Hooks hooks;
  if (!PyArg_ParseTuple(arguments, "iO!", &fd, &PyDict_Type, &given)) return NULL;
  if (TakeHooks(given, &hooks) != 0) return NULL;
  struct Reader reader;
  if (OpenReader(&reader) != 0) return NULL;
  int going, answered = 0;
  do {
    struct Frame frame;
    TellPages(&answered);
    going = NextFrame(fd, &reader, &frame);
    if (going == 1 && frame.kind == kShutdown) {
      going = 0;
    } else if (going == 1 && frame.kind != kInvoke) {
      PyErr_Format(PyExc_SystemExit, "samovar: unexpected frame %d", frame.kind);
      going = -1;
    } else if (going == 1) {
      going = Call(fd, &hooks, &frame) == 0 ? 1 : -1;
      DropFrame(&reader, &frame);
    }
  } while (going == 1);
  CloseReader(&reader);
  if (going < 0) return NULL;
  Py_RETURN_NONE;
}

PyMethodDef call_methods[] = {
    {"serve", Serve, METH_VARARGS,
     "serve(fd, hooks)\n\nAnswers the events that arrive on the channel `fd` until the server "
     "closes it "
     "or says SHUTDOWN.\n`hooks`: a dict of what the loop needs; see Hooks in call.c."},
    {NULL, NULL, 0, NULL}};

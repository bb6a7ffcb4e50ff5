#pragma once
// Utf8Locale: names are UTF-8 for libarchive while it lives, whatever locale the process runs in.
// Threads  Of the calling thread alone; REQUIRES: it goes on the thread that made it.

#include <locale.h>

namespace samovar {

class Utf8Locale {
 public:
  Utf8Locale()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(locale_ ? uselocale(locale_) : nullptr) {}
  ~Utf8Locale() {
    if (before_) uselocale(before_);
    if (locale_) freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

}  // namespace samovar

// samovar: one program, server and command line.

#include "main/commands.h"

int main(int argc, char** argv) {
#ifdef SAMOVAR_WITH_SERVE
  return samovar::RunCli(argc, argv, samovar::RunServe);
#else
  return samovar::RunCli(argc, argv, nullptr);
#endif
}

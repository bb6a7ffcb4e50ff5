# Sourced by setup, check and demo from the top of the project: what they and the server find on PATH.
# ccache must tell apart precompiled headers by content, or a new checkout compiles everything again.
export CCACHE_SLOPPINESS=pch_defines,time_macros

enough_node() {
  command -v node >/dev/null && [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -ge 20 ] 2>/dev/null
}
if [ -x build/node/bin/node ]; then PATH=$PWD/build/node/bin:$PATH; fi
export PATH

// clone_probe HOW: a template, honest or hostile. Plays against the spawner through
// libsamovar_clone, or by what it does itself with a request for a clone.
//   honest        leaves files in /tmp; each clone prints one line of facts and ends with status 7
//   waits         each clone prints "up" and stays
//   eats          each clone uses memory without end
//   generic       started ahead of what it is for, or not: prints which, and what it then sees
//   big-tmp, deep-tmp    leave more in /tmp than a clone takes over
//   dies, says-error, lies, forges, silent-end, brings-others, second-init, floods
//                 break the protocol in the way that they are called
//   dies-in-between      is gone as soon as it has forked
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

#include "samovar_clone.h"

namespace {

constexpr int kNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET;

std::string Text(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}

std::string Link(const char* path) {
  char target[256] = {};
  return ::readlink(path, target, sizeof target - 1) > 0 ? target : "";
}

void LeaveFiles() {
  std::ofstream("/tmp/left") << "left";
  ::chmod("/tmp/left", 0640);
  if (::symlink("/proc/1/root/etc/shadow", "/tmp/link") != 0 || ::mkfifo("/tmp/fifo", 0600) != 0 ||
      ::mkdir("/tmp/folder", 0700) != 0 || ::link("/tmp/left", "/tmp/folder/hard") != 0) {
    std::perror("prepare /tmp");
  }
  std::ofstream("/dev/shm/shared") << "memory";
}

void FillTmp(bool deep) {
  if (deep) {
    for (int i = 0; i < 100; ++i) {
      if (::mkdir("d", 0755) != 0 || ::chdir("d") != 0) std::perror("mkdir");
    }
    return;
  }
  std::ofstream big("/tmp/big");
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 80; ++i) big << block;
}

void PrintFacts(int count) {
  struct stat left{}, fifo{};
  ::stat("/tmp/left", &left);
  ::lstat("/tmp/fifo", &fifo);
  std::ofstream("/tmp/left", std::ios::app) << "+" << count;
  const char* who = std::getenv("WHO");
  std::printf("pid %d count %d who %s left %s mode %o hard %s link %s fifo %d shm %s unshare %d\n",
              ::getpid(), count, who ? who : "", Text("/tmp/left").c_str(), left.st_mode & 07777,
              Text("/tmp/folder/hard").c_str(), Link("/tmp/link").c_str(), S_ISFIFO(fifo.st_mode),
              Text("/dev/shm/shared").c_str(), ::unshare(kNamespaces));
  std::fflush(stdout);
}

[[noreturn]] void BeHonest(const std::string& how) {
  static int count = 41;
  if (samovar_template_ready("probe 1") == 1) {
    ++count;
    if (how == "honest") {
      PrintFacts(count);
      ::_exit(7);
    }
    if (how == "eats") {
      static std::string eaten;
      for (;;) eaten.append(1 << 20, 'x');
    }
    std::puts("up");
    std::fflush(stdout);
    for (;;) ::pause();
  }
  ::_exit(3);
}

// What it is told on descriptor 4 where it was started ahead; its files either way.
[[noreturn]] void BeGeneric() {
  static char text[4096] = "afresh";
  if (std::getenv("AHEAD")) {
    const ssize_t got = ::recv(SAMOVAR_CONTROL_FD, text, sizeof text - 1, 0);
    if (got <= 0) ::_exit(1);
  }
  struct statfs tmp{};
  ::statfs("/tmp", &tmp);
  std::printf("%s file %s layer %s tmp %lu MiB left %d\n", text, Text("/opt/code/name").c_str(),
              Text("/opt/layers/name").c_str(),
              static_cast<unsigned long>(tmp.f_blocks) * tmp.f_bsize >> 20,
              ::access("/tmp/left", F_OK) == 0);
  std::ofstream("/tmp/left") << "left";
  std::fflush(stdout);
  ::_exit(5);
}

// The descriptors of the next request: log, channel, setup.
struct Asked {
  int log = -1, channel = -1, setup = -1;
};

Asked NextRequest() {
  static char text[256 << 10];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char room[CMSG_SPACE(3 * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  // The socket is non-blocking on the spawner's side only.
  if (::recvmsg(SAMOVAR_CONTROL_FD, &message, 0) <= 0) ::_exit(0);
  int fds[3];
  std::memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
  return {fds[0], fds[1], fds[2]};
}

void Say(const Asked& asked, const std::string& text) {
  (void)!::send(asked.setup, text.data(), text.size(), MSG_NOSIGNAL);
}

// Under the number of another process; the kernel refuses what the sender may not claim.
void SayAs(const Asked& asked, const char* text, pid_t pid) {
  iovec part{const_cast<char*>(text), 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(ucred))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_CREDENTIALS;
  head->cmsg_len = CMSG_LEN(sizeof(ucred));
  const ucred claim{pid, ::getuid(), ::getgid()};
  std::memcpy(CMSG_DATA(head), &claim, sizeof claim);
  if (::sendmsg(asked.setup, &message, MSG_NOSIGNAL) < 0) Say(asked, text);
}

// A process 1 in new namespaces, which runs `rest` and then waits.
template <class Rest>
void MakeInit(Rest rest) {
  if (::fork() != 0) return;
  if (::unshare(kNamespaces) != 0) ::_exit(1);
  if (::fork() == 0) {
    rest();
    for (;;) ::pause();
  }
  ::_exit(0);
}

void Fork(const Asked& asked, void (*then)(const Asked&)) {
  if (::fork() == 0) {
    then(asked);
    for (;;) ::pause();
  }
}

void SayP(const Asked& asked) { Say(asked, "P"); }

void Break(const std::string& how, const Asked& asked) {
  if (how == "dies") ::_exit(9);
  if (how == "silent-end") {
    ::close(asked.setup);
    return;
  }
  if (how == "says-error") Say(asked, std::string("E?") + std::string(700, '\xff'));
  if (how == "lies") {
    Say(asked, "I");
    Say(asked, "P");
  }
  if (how == "forges") {
    SayAs(asked, "I", 1);
    SayAs(asked, "P", ::getppid());
  }
  if (how == "brings-others") {
    MakeInit([&] {
      Say(asked, "I");
      Fork(asked, [](const Asked&) {});
      Fork(asked, SayP);
    });
  }
  if (how == "second-init") {  // the two are of two namespaces
    MakeInit([&] { Say(asked, "I"); });
    MakeInit([&] { Fork(asked, SayP); });
  }
  if (how == "dies-in-between") {
    const pid_t child = samovar_clone_fork(asked.setup, asked.log, asked.channel);
    if (child != 0) ::kill(::getpid(), SIGKILL);
    ::_exit(7);
  }
  if (how == "floods") {
    const int setup = ::fcntl(asked.setup, F_DUPFD_CLOEXEC, 20);
    if (samovar_clone_fork(asked.setup, asked.log, asked.channel) == 0) {
      ::close(setup);
      for (;;) ::pause();
    }
    for (;;) {
      if (::send(setup, "X", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE) ::_exit(0);
    }
  }
}

}  // namespace

int main(int, char** argv) {
  const std::string how = argv[1];
  if (how == "generic") BeGeneric();
  if (how == "honest") LeaveFiles();
  if (how == "big-tmp" || how == "deep-tmp") FillTmp(how == "deep-tmp");
  for (const char* honest : {"honest", "waits", "eats", "big-tmp", "deep-tmp"}) {
    if (how == honest) BeHonest(how);
  }
  for (;;) {
    const Asked asked = NextRequest();
    Break(how, asked);
    for (int fd : {asked.log, asked.channel, asked.setup}) ::close(fd);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

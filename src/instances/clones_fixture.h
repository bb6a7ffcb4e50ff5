#pragma once
// ClonesTest: an InstanceService over fake sandboxes that can be cloned; for tests.

#include <string>
#include <string_view>

#include "instances/service_fixture.h"

namespace samovar {

class ClonesTest : public InstanceServiceTest {
 protected:
  ClonesTest() { clonable_ = true; }

  TemplateStatus Status(const std::string& function = "f") {
    for (auto& status : service_->Templates()) {
      if (status.function == function) return status;
    }
    return {};
  }
  // Ticks until the version has so many spares.
  Task<bool> Spares(std::size_t count, const std::string& function = "f") {
    co_return co_await Until([&] {
      service_->Tick();
      return Status(function).spares == count;
    });
  }
  int InState(std::string_view state, const std::string& function = "f") {
    int count = 0;
    for (auto& status : service_->Instances()) {
      count += status.function == function && status.state == state ? 1 : 0;
    }
    return count;
  }
  int Clones() const {
    int clones = 0;
    for (auto& process : host_->processes) clones += process->parent ? 1 : 0;
    return clones;
  }
};

}  // namespace samovar

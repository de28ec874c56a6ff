#include "wiring/lives_fixture.h"

#include <nlohmann/json.hpp>

namespace headrace::wiring::lives_fixture {

nlohmann::json Lives::State() const { return nlohmann::json::parse(core_->changes().ToJson()); }

std::string Lives::GoneOn() {
  const auto state = [&] {
    return State().value("change", nlohmann::json{{"state", "none"}})["state"].get<std::string>();
  };
  machine_->RunFor(std::chrono::seconds(1));
  machine_->RunUntil(
      [&] { return machine_->crashed() || (state() != "building" && state() != "cutting_over"); });
  return machine_->crashed() ? "died" : state();
}

std::string Lives::Await(const base::Result<std::string>& begun,
                         const std::function<void()>& between) {
  if (machine_->crashed()) return "died";
  if (!begun) return begun.error().message();
  if (!nlohmann::json::parse(*begun)["changes"].get<bool>()) return "";
  while (!machine_->crashed() && State()["change"]["state"] == "building") {
    if (between) between();
    machine_->Step();
  }
  machine_->RunUntil([&] {
    return machine_->crashed() || State()["change"]["state"] == "done" ||
           State()["change"]["state"] == "failed";
  });
  if (machine_->crashed()) return "died";
  const nlohmann::json change = State()["change"];
  return change["state"] == "done" ? "" : change["error"]["message"].get<std::string>();
}

}  // namespace headrace::wiring::lives_fixture

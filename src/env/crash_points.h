#pragma once
// The named places where the simulation may kill the process. Code marks one with
// Environment::CrashPoint(name); a name that is not in this list stops the simulation, and tests go
// through the list to prove that each one is hit.

#include <array>
#include <string_view>

namespace headrace::env {

inline constexpr std::array kCrashPoints = {
    // log: one epoch on its way to the disk and to its senders
    std::string_view("log.before_write"),
    std::string_view("log.after_write"),
    std::string_view("log.after_sync"),
    std::string_view("log.before_ack"),
    // log: a new segment
    std::string_view("segment.before_create"),
    std::string_view("segment.after_preallocate"),
    std::string_view("segment.before_rename"),
    std::string_view("segment.after_rename"),
    std::string_view("segment.after_folder_sync"),
    // log: opening after a crash
    std::string_view("recovery.before_zero_tail"),
    std::string_view("recovery.after_zero_tail"),
    // log: a segment is let go
    std::string_view("retain.before_residue"),
    std::string_view("retain.after_put"),
    std::string_view("retain.after_residue"),
    std::string_view("retain.before_remove"),
    std::string_view("retain.after_remove"),
    std::string_view("retain.after_folder_sync"),
    std::string_view("retain.before_settle"),
    std::string_view("retain.before_forget"),
    std::string_view("retain.after_forget"),
    // log: a snapshot on its way to its name
    std::string_view("snapshot.before_create"),
    std::string_view("snapshot.after_block"),
    std::string_view("snapshot.before_sync"),
    std::string_view("snapshot.before_rename"),
    std::string_view("snapshot.after_rename"),
    std::string_view("snapshot.after_folder_sync"),
    std::string_view("snapshot.before_remove"),
    // wiring: a durable epoch on its way to the state
    std::string_view("applier.before_apply"),
    std::string_view("applier.after_visible"),
    // tables: a publish plan on its way to a commit
    std::string_view("publish.before_plan"),
    std::string_view("publish.after_plan"),
    std::string_view("publish.after_files"),
    std::string_view("publish.before_commit"),
    std::string_view("publish.after_commit"),
};

constexpr bool IsCrashPoint(std::string_view name) {
  for (const std::string_view point : kCrashPoints)
    if (point == name) return true;
  return false;
}

}  // namespace headrace::env

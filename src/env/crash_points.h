#pragma once
// The named places where the simulation may kill the process. Code marks one with
// Environment::CrashPoint(name) (Files::CrashPoint where only files are seen); a name that is not
// in this list stops the simulation, and tests go through the list to prove that each one is hit.

#include <array>
#include <string_view>

namespace headrace::env {

inline constexpr std::array kCrashPoints = {
    // env: a folder that is made, its entry in memory only, then synced
    std::string_view("folder.after_create"),
    std::string_view("folder.after_sync"),
    // env: put-if-absent, by which the log's id, data files and commits come into being: a
    // temporary
    // file is created, written, synced; linked to its name; the folder synced; the temporary
    // removed
    std::string_view("put.after_create"),
    std::string_view("put.after_write"),
    std::string_view("put.after_sync"),
    std::string_view("put.after_link"),
    std::string_view("put.after_folder_sync"),
    std::string_view("put.after_remove"),
    // log: opening, around recovery: the folder, its lock, the id (made once), the durable mark,
    // the
    // segment to go on with
    std::string_view("open.after_folder"),
    std::string_view("open.after_lock"),
    std::string_view("open.before_id"),
    std::string_view("open.after_id"),
    std::string_view("open.before_mark"),
    std::string_view("open.after_mark"),
    std::string_view("open.after_segment"),
    // log: recovery proper: leftovers go, each segment is read, a torn tail is zeroed, the last
    // record written again, file and folder synced
    std::string_view("recovery.after_leftover"),
    std::string_view("recovery.after_segment"),
    std::string_view("recovery.before_zero_tail"),
    std::string_view("recovery.after_zero_write"),
    std::string_view("recovery.before_rewrite"),
    std::string_view("recovery.after_rewrite"),
    std::string_view("recovery.after_sync"),
    std::string_view("recovery.between_names"),
    std::string_view("recovery.after_zero_tail"),
    std::string_view("recovery.after_folder_sync"),
    // log: one epoch on its way to the disk, to the applier and to its senders
    std::string_view("log.before_seal"),
    std::string_view("log.after_seal"),
    std::string_view("log.before_write"),
    std::string_view("log.after_write"),
    std::string_view("log.after_sync"),
    std::string_view("log.before_mark"),
    std::string_view("log.after_mark"),
    std::string_view("log.before_ack"),
    std::string_view("log.after_ack"),
    // log: a new segment
    std::string_view("segment.before_create"),
    std::string_view("segment.after_create"),
    std::string_view("segment.after_preallocate"),
    std::string_view("segment.before_rename"),
    std::string_view("segment.after_rename"),
    std::string_view("segment.after_folder_sync"),
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
    std::string_view("snapshot.after_create"),
    std::string_view("snapshot.after_block"),
    std::string_view("snapshot.before_sync"),
    std::string_view("snapshot.before_rename"),
    std::string_view("snapshot.after_rename"),
    std::string_view("snapshot.after_folder_sync"),
    std::string_view("snapshot.before_remove"),
    // wiring: a core that starts: data folder, log and state, streams, answers file, tables; then
    // batches are taken, and the definition is logged when it is new
    std::string_view("start.after_folder"),
    std::string_view("start.after_log"),
    std::string_view("start.after_streams"),
    std::string_view("start.after_answers"),
    std::string_view("start.after_tables"),
    std::string_view("start.accepting"),
    std::string_view("definition.before_log"),
    std::string_view("definition.after_log"),
    // wiring: a change of definition: before the views are made, after each piece of history,
    // before
    // the rest is put aside, before and after the definition is in the log, after the step that
    // readers see it with; and a start that has to build views, before and after
    std::string_view("change.asked"),
    std::string_view("change.before_build"),
    std::string_view("change.after_piece"),
    std::string_view("change.before_aside"),
    std::string_view("change.before_log"),
    std::string_view("change.before_evolving"),
    std::string_view("change.after_evolving"),
    std::string_view("change.after_log"),
    std::string_view("change.cut_over"),
    std::string_view("change.before_forget"),
    std::string_view("change.start_build"),
    std::string_view("change.start_built"),
    // wiring: a core that stops: batches are refused, all is visible, the log tells when it became
    // so, tables are flushed, the log is closed, the publishers end
    std::string_view("stop.begin"),
    std::string_view("stop.visible"),
    std::string_view("stop.told"),
    std::string_view("stop.tables_flushed"),
    std::string_view("stop.log_closed"),
    std::string_view("stop.tables_closed"),
    // wiring: a durable epoch on its way to the state
    std::string_view("applier.before_apply"),
    std::string_view("applier.after_apply"),
    std::string_view("applier.after_visible"),
    // wiring: answers on their way into the answers file
    std::string_view("answers.before_write"),
    std::string_view("answers.after_write"),
    // tables: a publisher opens its table, removes what a crash left, holds the marker against the
    // last plan
    std::string_view("publish.before_open"),
    std::string_view("publish.after_open"),
    std::string_view("publish.after_leftover"),
    std::string_view("publish.before_settle"),
    // tables: a publish plan on its way to a commit; a plan of an earlier life; a sealed epoch that
    // says when rows became visible
    std::string_view("publish.before_seal"),
    std::string_view("publish.before_plan"),
    std::string_view("publish.after_plan"),
    std::string_view("publish.before_redo"),
    std::string_view("publish.before_file"),
    std::string_view("publish.file_was_there"),
    std::string_view("publish.after_file"),
    std::string_view("publish.after_files"),
    std::string_view("publish.before_commit"),
    std::string_view("publish.after_commit"),
    std::string_view("publish.before_flush_answer"),
    std::string_view("publish.before_retry"),
    // tables: a version of a Delta table: the first; one more; one that somebody else made first
    std::string_view("delta.before_create"),
    std::string_view("delta.after_create"),
    std::string_view("delta.before_put"),
    std::string_view("delta.before_evolving"),
    std::string_view("delta.after_evolving"),
    std::string_view("delta.after_put"),
    std::string_view("delta.after_refresh"),
    // tables: other files in the place of some, as a version
    std::string_view("delta.before_replace"),
    std::string_view("delta.after_replace"),
    // tables: a rewrite plan on its way to a commit; one of an earlier life; one that failed
    std::string_view("rewrite.before_plan"),
    std::string_view("rewrite.after_plan"),
    std::string_view("rewrite.before_redo"),
    std::string_view("rewrite.after_old_file"),
    std::string_view("rewrite.before_file"),
    std::string_view("rewrite.after_file"),
    std::string_view("rewrite.before_commit"),
    std::string_view("rewrite.after_commit"),
    std::string_view("rewrite.before_retry"),
    // tables: files that no version needs any more go, one by one
    std::string_view("vacuum.before_remove"),
    std::string_view("vacuum.after_remove"),
    // tables: upkeep of a Delta table's log, beside its commits: a checkpoint is made, gets its
    // name, is hinted at; the checksum file of a version; old commits go, one by one
    std::string_view("checkpoint.before_write"),
    std::string_view("checkpoint.before_publish"),
    std::string_view("checkpoint.after_publish"),
    std::string_view("checkpoint.after_hint"),
    std::string_view("checksum.before_put"),
    std::string_view("checksum.after_put"),
    std::string_view("cleanup.before_remove"),
    std::string_view("cleanup.after_remove"),
    std::string_view("cleanup.after_sync"),
};

constexpr bool IsCrashPoint(std::string_view name) {
  for (const std::string_view point : kCrashPoints)
    if (point == name) return true;
  return false;
}

}  // namespace headrace::env

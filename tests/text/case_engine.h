#pragma once
// A whole engine on a simulated machine, driven by the commands of a text case.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/simulated/environment.h"
#include "text/case_file.h"
#include "wiring/change_plan.h"
#include "wiring/engine.h"

namespace headrace::tests {

// One case's engine. Not thread-safe; everything happens on the simulation's loop.
class CaseEngine {
 public:
  static constexpr uint64_t kSeed = 1;

  // `pipeline` and `files` (contracts by name) are used from the first command on; `others` are
  // pipeline files by name, for `diff`, `apply` and `serve`.
  CaseEngine(std::string pipeline, std::map<std::string, std::string> files,
             std::map<std::string, std::string> others);
  ~CaseEngine();

  // Runs one command (tests/cases/README.md lists them) and returns what it shows. Errors:
  // kInvalidInput for an unknown command or option; what the engine itself refuses is part of the
  // text that is returned.
  base::Result<std::string> Run(const CaseSection& section);

 private:
  using Command = base::Result<std::string> (CaseEngine::*)(const CaseSection&);
  static const std::map<std::string, Command>& Commands();

  base::Result<std::string> Check(const CaseSection& section);
  base::Result<std::string> Ingest(const CaseSection& section);
  base::Result<std::string> Get(const CaseSection& section);
  base::Result<std::string> Explain(const CaseSection& section);
  base::Result<std::string> Http(const CaseSection& section);
  base::Result<std::string> DeadLetters(const CaseSection& section);
  base::Result<std::string> Replay(const CaseSection& section);
  base::Result<std::string> Table(const CaseSection& section);
  base::Result<std::string> Train(const CaseSection& section);
  base::Result<std::string> Snapshot(const CaseSection& section);
  base::Result<std::string> Status(const CaseSection& section);
  base::Result<std::string> Verify(const CaseSection& section);
  base::Result<std::string> Kill(const CaseSection& section);
  base::Result<std::string> Wait(const CaseSection& section);
  base::Result<std::string> StepWall(const CaseSection& section);

  base::Result<std::string> Diff(const CaseSection& section);
  base::Result<std::string> Apply(const CaseSection& section);
  base::Result<std::string> Rollback(const CaseSection& section);
  base::Result<std::string> Serve(const CaseSection& section);

  // What a section that names another pipeline file asks for.
  base::Result<wiring::ChangeRequest> Request(const CaseSection& section) const;
  // Lets the change go on to its end, and says how it went.
  base::Result<std::string> Carried(const base::Result<std::string>& begun);
  // The definition, or every diagnostic as `headrace check` prints it.
  struct Checked {
    pipeline::PipelineRef definition;  // null when there is an error
    std::string complaints;            // warnings, too
  };
  Checked CheckFiles() const;
  base::Result<pipeline::PipelineRef> Definition() const;
  // Starts the engine if it is not running.
  base::Result<void> Start();
  base::Result<std::string> Answer(const serving::FeatureQuery& query,
                                   const std::vector<std::string>& only);

  std::string pipeline_;  // what a start is given
  const std::map<std::string, std::string> files_;
  const std::map<std::string, std::string> others_;
  uint64_t life_ = 0;
  std::unique_ptr<env::simulated::SimulatedEnvironment> machine_;
  std::unique_ptr<wiring::Core> core_;
};

}  // namespace headrace::tests

#pragma once

#include "config/load.hpp"

namespace txstream::config {

/// What load() cannot know of a configuration, since it is in librdkafka, in files, or in the
/// environment of libpq. Opens no connection, changes nothing. `known` are problems that were found
/// already: what follows from them is not reported again.
struct Checked {
    Problems problems;
    Problems warnings;  ///< allowed, but worth knowing
};

/// Whether librdkafka makes a producer of these properties, and can read the files that they name.
Checked check_kafka(const Loaded& loaded, const Problems& known);

/// Whether the files of certificates that libpq would read are there.
Problems check_database_files(const Config& config);

/// Whether the log's file could be written. Makes none.
Problems check_log_file(const Config& config);

/// All of it.
Checked check_all(const Judged& judged);

}  // namespace txstream::config

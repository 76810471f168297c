#pragma once

#include "console/masking.hpp"
#include "console/record_filter.hpp"
#include "console/scan_plan.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::console {

/// The record as a caller sees it. `masks`: null for callers who see everything.
FoundRecord masked(const Masks* masks, kafka::FetchedRecord&& record);
/// Cuts key and value to what is shown of them.
void cut(FoundRecord& found, std::size_t shown_max);

/// What a caller sees of records: those that the filter matches, masked, and cut. A value; any
/// thread may use a copy.
class RecordLook {
public:
    /// `masks` must outlive this.
    RecordLook(const Masks* masks, RecordFilter filter, std::size_t shown_max)
        : masks_(masks), filter_(std::move(filter)), shown_max_(shown_max) {}

    /// The filter is applied to the masked record, so that a filter cannot reveal what is masked.
    std::optional<FoundRecord> operator()(kafka::FetchedRecord&& record) const;

    /// Whether the filter asks about a masked path; then it is to be refused.
    bool asks_for_masked() const;
    const Masks* masks() const noexcept { return masks_; }
    const RecordFilter& filter() const noexcept { return filter_; }

private:
    const Masks* masks_;
    RecordFilter filter_;
    std::size_t shown_max_;
};

/// Appends openapi.yaml's Record.
void append_record(std::string& out, std::string_view topic, const FoundRecord& found);
/// A line of CSV, with its end; the first line has the names of the columns. A text that a
/// spreadsheet would take for a formula gets an apostrophe in front.
void append_csv_head(std::string& out);
void append_csv(std::string& out, const FoundRecord& found);

}  // namespace txstream::console

// What the runtime library does when the process ends: it lets work in flight come to its end, so
// that its problems are seen, and reports what was never freed.
#pragma once

namespace gpusim::cudart {

void report_at_end();

}  // namespace gpusim::cudart

// Fat binaries: the containers in which nvcc embeds PTX texts and cubins. Finds the PTX for a
// device and the register counts that cubins state; never executes machine code. Sizes and offsets
// are checked against the container before use.
//
// A registered wrapper describes one or more translation units: one where the program was compiled
// as a whole, one per file with -rdc=true, whose PTX texts have to be linked (ptx::link).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpusim::fatbin {

class FatbinError : public std::runtime_error {
 public:
  enum class Kind : std::uint8_t {
    kMalformed,  ///< not a fat binary, or its sizes contradict each other
    kNoPtx,      ///< holds machine code only: cudaErrorNoKernelImageForDevice
    kTooNew      ///< all its PTX is for newer devices: cudaErrorNoKernelImageForDevice
  };
  FatbinError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// One PTX text or cubin of a translation unit, still compressed. Points into the container.
struct Entry {
  enum class Kind : std::uint8_t { kPtx = 1, kCubin = 2, kOther = 0 };
  enum class Compression : std::uint8_t { kNone, kLz4, kZstd };
  Kind kind = Kind::kOther;
  Compression compression = Compression::kNone;
  int architecture = 0;   ///< 80 for sm_80
  bool specific = false;  ///< sm_90a: runs on exactly this architecture
  bool family = false;    ///< sm_100f: runs within the same major number
  std::string name;       ///< of the source file, where the container tells (-rdc=true)
  std::span<const std::byte> payload;  ///< as stored, without padding
  std::size_t unpacked_bytes = 0;      ///< after decompression
};

/// The entries of one translation unit.
struct Unit {
  std::vector<Entry> entries;
};

/// The units of what __cudaRegisterFatBinary is given (struct fatBinC_Wrapper).
std::vector<Unit> units_of_wrapper(const void* wrapper);
/// The units of a .fatbin file, or of an executable or object file with an .nv_fatbin section:
/// each contained fat binary is one unit. `name` appears in errors.
std::vector<Unit> units_of_file(std::span<const std::byte> bytes, const std::string& name);
/// The entries of the fat binary at the front of `bytes`; `used`: its size, if asked for.
Unit read_unit(std::span<const std::byte> bytes, std::size_t* used = nullptr);

/// The payload, decompressed; of PTX without the NUL padding.
std::string unpack(const Entry& entry);

/// The PTX of a unit for a device: the highest architecture that the device can run, the specific
/// one (sm_90a) before the plain one. Null where it has none.
const Entry* choose_ptx(const Unit& unit, int architecture, bool specific);

struct PtxText {
  std::string name;  ///< for messages: the source file where known, else "PROGRAM[unit]"
  std::string text;
  int architecture = 0;
};
struct Selection {
  std::vector<PtxText> texts;        ///< at least one
  std::vector<std::string> skipped;  ///< units without PTX for this device, why; often cudadevrt's
};
/// The PTX of every unit for a device of `architecture` (90; `specific`: it also runs sm_90a).
/// `program` names the file that registered it, for errors. Throws FatbinError (kNoPtx, kTooNew)
/// where no unit has any, with the flag to compile with.
Selection select_ptx(const std::vector<Unit>& units, int architecture, bool specific,
                     const std::string& program);
Selection select_ptx(const void* wrapper, int architecture, bool specific,
                     const std::string& program);

/// Registers per thread of each kernel by its mangled name, as the cubins for `architecture` state
/// them; with none for it, the next lower of the same major number. Empty where there is no cubin.
/// A damaged cubin counts as none: this is a refinement, not needed to run.
std::map<std::string, int> register_counts(const std::vector<Unit>& units, int architecture);
std::map<std::string, int> register_counts(const void* wrapper, int architecture);
/// The same for the bytes of one cubin.
std::map<std::string, int> register_counts_of_cubin(std::span<const std::byte> cubin);

}  // namespace gpusim::fatbin

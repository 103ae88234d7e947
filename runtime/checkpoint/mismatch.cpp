#include "runtime/checkpoint/mismatch.hpp"

#include <algorithm>
#include <unordered_map>

#include "ops/base/text.hpp"
#include "runtime/program/update.hpp"

namespace ingot {
namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// Keys that decide a tensor's first and last extent, by a part of the tensor's name; the first
/// match counts.
struct ExtentKeys {
  const char* part;
  const char* first;
  const char* last;
};
constexpr ExtentKeys kExtentKeys[] = {
    {"token_embedding", "model.vocabulary (or the data's)", "model.width"},
    {"position_embedding", "model.context", "model.width"},
    {"category_embedding", "the categories of the data", "model.embedding"},
    {"attention.qkv", "model.heads, model.kv_heads or model.width", "model.width"},
    {"attention.output", "model.width", "model.width"},
    {"feed_forward.gate_up", "model.hidden", "model.width"},
    {"feed_forward.up", "model.hidden", "model.width"},
    {"feed_forward.down", "model.width", "model.hidden"},
    {"norm", "model.width", "model.width"},
    {"output", "model.vocabulary (or the data's classes)", "model.width or model.hidden_layers"},
    {"layers.", "model.hidden_layers", "model.hidden_layers (or the data's columns)"},
};

std::string key_of_shape(const std::string& name, const Shape& a, const Shape& b) {
  for (const ExtentKeys& keys : kExtentKeys) {
    if (!contains(name, keys.part)) continue;
    const bool last_differs = a.rank() == b.rank() && a.rank() > 0 && a[-1] != b[-1];
    return last_differs && a.rank() > 1 ? keys.last : keys.first;
  }
  return "a key of model";
}

/// What may decide that a tensor exists at all.
std::string key_of_existence(const std::string& name) {
  if (contains(name, "position_embedding")) return "model.positions";
  if (contains(name, "gate_up") || contains(name, "feed_forward.up")) return "model.activation";
  if (name.ends_with(".bias")) return "model.bias or model.norm";
  if (name == "output.weight") return "model.tied";
  if (name.starts_with("layers.")) return "model.layers, model.hidden_layers or model.kind";
  return "model.kind";
}

}  // namespace

void check_same_tensors(const Checkpoint& checkpoint, const StoreLayout& layout) {
  std::unordered_map<std::string, const Shape*> saved;
  for (const TensorEntry& tensor : checkpoint.manifest.tensors) {
    saved.emplace(tensor.name, &tensor.shape);
  }
  for (const ParameterSpec& spec : layout.parameters) {
    const auto found = saved.find(spec.name);
    if (found == saved.end()) {
      fail(ExitCode::kCheckpoint,
           "{}: lacks the tensor '{}' {} that the configured model has; {} probably differs from "
           "the run that wrote it",
           checkpoint.path, spec.name, spec.shape.text(), key_of_existence(spec.name));
    }
    if (!(*found->second == spec.shape)) {
      fail(ExitCode::kCheckpoint,
           "{}: the tensor '{}' is {}, the configured model has {}; {} probably differs from the "
           "run that wrote it",
           checkpoint.path, spec.name, found->second->text(), spec.shape.text(),
           key_of_shape(spec.name, *found->second, spec.shape));
    }
    saved.erase(found);
  }
  // The manifest's order, so that the first one is named.
  for (const TensorEntry& tensor : checkpoint.manifest.tensors) {
    if (!saved.contains(tensor.name)) continue;
    fail(ExitCode::kCheckpoint,
         "{}: the tensor '{}' {} does not exist in the configured model; {} probably differs from "
         "the run that wrote it",
         checkpoint.path, printable(tensor.name), tensor.shape.text(),
         key_of_existence(tensor.name));
  }
}

void refuse_missing_kind(const Checkpoint& checkpoint, const std::string& kind) {
  fail(ExitCode::kCheckpoint,
       "{}: holds no '{}'; {} probably differs from the run that wrote it (init_from takes the "
       "weights alone)",
       checkpoint.path, kind, kind == store::kAverage ? "optimizer.ema" : "optimizer.kind");
}

}  // namespace ingot

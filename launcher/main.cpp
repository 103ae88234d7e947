// The `ingot` command.
#include "launcher/command_line.hpp"

int main(int argc, char** argv) {
  return ingot::run_command_line({argv + 1, argv + argc});
}

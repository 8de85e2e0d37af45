/* cmd_resolver.h - `muster setup-resolver`: how a resolver asks the agent. */
#pragma once

int cmd_resolver(int argc, char **argv);

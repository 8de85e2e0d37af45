/*
 * cmd_agent.h - `muster agent`: this host's agent, with --dev a store inside.
 */
#pragma once

int cmd_agent(int argc, char **argv);

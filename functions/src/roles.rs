//! Roles and members: who may call which functions, play scripts, and use host modules.

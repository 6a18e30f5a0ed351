"""What an admin and the process's environment configure: settings, the configuration file, its fields and errors."""

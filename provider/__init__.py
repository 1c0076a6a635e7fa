"""The Vultr resources' own plugin: what the engine runs for `ediri_vultr`, in the lab and at Vultr alike."""

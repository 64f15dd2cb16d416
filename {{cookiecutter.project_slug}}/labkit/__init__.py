"""The machine beside modules/: run folders, launching, reports. README.md says what each folder promises."""

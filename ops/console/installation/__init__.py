"""What the console tells of the installation itself: its configuration, the doctor's findings, and its versions."""

"""Where to look: targets, mount model, passes and the gimbal loop."""

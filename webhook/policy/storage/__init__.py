"""Where a pod writes its checkpoint, and how fast the volume takes it."""

namespace VirtKit.Devices.Consoles;

/// <summary>What a console does with the guest's output when its buffer is full.</summary>
public enum ConsoleOverflow
{
    /// <summary>The guest is held back until there is room: its serial port is not ready, its virtio buffers stay in the queue. Nothing is lost.</summary>
    Wait,

    /// <summary>The guest goes on and the oldest bytes are lost.</summary>
    DropOldest,
}

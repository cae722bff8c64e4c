using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using VirtKit.Engines;
using VirtKit.Execution;
using VirtKit.Interpreter;
using VirtKit.RiscV;
using VirtKit.Time;

namespace VirtKit.Tests.Interpreter;

/// <summary>Every handler of the tail-threaded dispatch ends in a jump: one that made a call instead would let a guest run the host's stack over.</summary>
public sealed unsafe class HandlerTests : IDisposable
{
    private const int Length = 50;
    private const ulong Address = 0x1000;

    private readonly AddressSpace _memory = new();
    private readonly Hart _hart;
    private readonly InterpreterContext* _context;
    private readonly HandlerTable _handlers;
    private readonly InstructionSet _set;
    private readonly Op* _ops = (Op*)NativeMemory.AlignedAlloc(4096 * 16, 64);
    private readonly JumpEntry* _jumps = (JumpEntry*)NativeMemory.AlignedAlloc((nuint)(JumpEntry.Count * sizeof(JumpEntry)), 64);

    public HandlerTests()
    {
        _memory.MapRam(new Gpa(0), 0x4000);
        var clock = new VirtualClock(10, DateTimeOffset.UnixEpoch);
        var system = new RiscVSystem(new PartitionContext(new RiscVArchitecture(), _memory, null, clock, new NoEvents(), 1, NullLogger.Instance));
        _hart = (Hart)system.Cpu(0);
        _hart.Attach(new NoEngine(), _hart.CreateMemory(new ContextSize(0, sizeof(InterpreterContext))));
        _hart.GetState(out RiscVState state);
        state.Mstatus |= Mstatus.Fs;
        for (int i = 1; i < 32; i++)
        {
            state.X[i] = Address;
            state.F[i] = BitConverter.DoubleToUInt64Bits(1.5);
        }

        _hart.SetState(state);
        _context = (InterpreterContext*)_hart.Context;
        _context->Jumps = _jumps;
        _context->Cpu.Attention = 0;
        _set = system.Instructions;
        _handlers = HandlerTable.Of<TailDispatch>(_set);
    }

    public static TheoryData<string> Mnemonics =>
        [.. new InstructionSet(RiscVArchitecture.FullIsa).Rows.Where(r => r.Encoding.Form != InstructionForm.System).Select(r => r.Encoding.Mnemonic)];

    [Theory]
    [MemberData(nameof(Mnemonics))]
    public void Handler_InALongChain_LeavesTheStackWhereItWas(string mnemonic)
    {
        InstructionSet.Row row = _set.Rows.Single(r => r.Encoding.Mnemonic == mnemonic);
        foreach (bool back in row.Encoding.Form == InstructionForm.Branch ? new[] { false, true } : [false])
        {
            nint handler = _handlers.Of(row.Index, back);
            Assert.Equal(0, ExtraDepth(Repeat(row.Encoding, handler)));
        }
    }

    [Fact]
    public void Pair_InAChain_LeavesTheStackWhereItWas()
    {
        int pairs = 0;
        foreach (InstructionSet.Row first in _set.Rows)
        {
            foreach (InstructionSet.Row second in _set.Rows)
            {
                nint pair = _handlers.OfPair(Pointer(first), Pointer(second));
                if (pair == 0)
                    continue;
                pairs++;
                Assert.True(ExtraDepth(LayPair(first.Encoding, second, pair)) == 0, $"{first.Encoding.Mnemonic} + {second.Encoding.Mnemonic}");
            }
        }

        Assert.True(pairs > 600);
    }

    public void Dispose()
    {
        _hart.Dispose();
        _memory.Release();
        NativeMemory.AlignedFree(_ops);
        NativeMemory.AlignedFree(_jumps);
    }

    /// <summary>How much deeper the end of a chain lies than a chain that is only its end; far from 0 where it was not reached.</summary>
    /// <remarks>Optimized from the start, like what it calls: a frame must not change its size between two calls.</remarks>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private long ExtraDepth(Op* chain)
    {
        Op* end = _ops + 3000;
        end->Handler = &End;
        return DepthOf(end) - DepthOf(chain);
    }

    /// <summary>Lays a chain of one instruction out, the exits of each op leading to the next one.</summary>
    private Op* Repeat(Encoding encoding, nint handler)
    {
        bool jumps = encoding.Form is InstructionForm.Branch or InstructionForm.Jump or InstructionForm.JumpRegister;
        // A computed jump always finds the same entry, so its chain has one link.
        int length = encoding.Form == InstructionForm.JumpRegister ? 1 : Length;
        int stride = jumps ? 1 + BlockExit.Slots : 1;
        *(BlockHeader*)_ops = new BlockHeader { Pc = Address, Count = (short)length };
        Op* first = _ops + BlockHeader.Slots;
        for (int i = 0; i < length; i++)
        {
            Op* op = first + i * stride;
            *op = Decode(encoding, (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)handler);
            op->Operands.Slot = (byte)(jumps ? 0 : i);
            if (!jumps)
                continue;
            BlockExit.Taken(op)->Link = op + stride;
            BlockExit.Next(op)->Link = op + stride;
        }

        Op* end = first + length * stride;
        end->Handler = &End;
        JumpEntry* entry = JumpEntry.At(_jumps, Address);
        entry->Pc = Address;
        entry->Op = end;
        return first;
    }

    /// <summary>Lays a pair out, and behind it a chain of its second instruction.</summary>
    private Op* LayPair(Encoding first, InstructionSet.Row second, nint pair)
    {
        Op* chain = Repeat(second.Encoding, (nint)Pointer(second));
        Op* front = _ops + 2000;
        *(BlockHeader*)(front - BlockHeader.Slots) = new BlockHeader { Pc = Address, Count = 2 };
        front[0] = Decode(first, (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)pair);
        front[1] = Decode(second.Encoding, Pointer(second));
        front[1].Operands.Slot = 1;
        if (second.Encoding.Form == InstructionForm.Plain)
        {
            front[2].Handler = &End;
            return front;
        }

        BlockExit.Taken(front + 1)->Link = chain;
        BlockExit.Next(front + 1)->Link = chain;
        return front;
    }

    private delegate*<GuestCpu, Op*, InterpreterContext*, long, long> Pointer(InstructionSet.Row row) =>
        (delegate*<GuestCpu, Op*, InterpreterContext*, long, long>)_handlers.Of(row.Index, branchesBack: false);

    private static Op Decode(Encoding encoding, delegate*<GuestCpu, Op*, InterpreterContext*, long, long> handler)
    {
        var op = new Op { Handler = handler, Operands = encoding.Decode(encoding.Match) };
        (op.Operands.Rd, op.Operands.Rs1, op.Operands.Rs2) = (0, 6, 7);
        if (encoding.WritesX)
            op.Operands.Rd = (byte)RiscVSlots.Sink;
        // The literal of a pc-relative instruction may stand anywhere.
        if (encoding.Form == InstructionForm.PcRelative)
            op.Operands.Imm = 0;
        return op;
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private long DepthOf(Op* op)
    {
        _context->Cpu.Pc = Address;
        return Start(_hart, op, _context);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static long Start(GuestCpu cpu, Op* op, InterpreterContext* context) => op->Handler(cpu, op, context, 1 << 20) + 0 * (long)context;

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static long End(GuestCpu cpu, Op* op, InterpreterContext* c, long budget)
    {
        long here = 0;
        return (long)&here;
    }

    private sealed class NoEvents : IMachineEvents
    {
        public void RequestStop(VcpuExit exit) { }

        public void Wake(int vcpu) { }
    }

    private sealed class NoEngine : ICpuEngine
    {
        public bool HoldsLock => false;

        public void DataMappingChanged() { }

        public void DataMappingChanged(ulong address) { }

        public void SpaceChanged(int space) { }

        public void CodeMappingChanged(int space) { }

        public void CodeMappingChanged(int space, ulong address) { }

        public void CodeBytesChanged() { }
    }
}
